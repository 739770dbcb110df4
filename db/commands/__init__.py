"""Typed calls of PostgreSQL's programs; none of their work is written again.

:mod:`db.commands.core` has what all of them share: the connection in the environment, the password
in a passfile, and errors that an operator can act on.
"""
