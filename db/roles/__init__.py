"""Roles of the database with least privileges.

``<prefix>_owner`` owns the tables and cannot log in; ``<prefix>_app`` is for the worker,
``<prefix>_maintenance`` for ``maintenance.*``, and ``<prefix>_readonly`` for people.
"""
