"""Roles of the database: who may do what, and nothing else.

``<prefix>_owner`` owns the tables and cannot log in; ``<prefix>_app`` is the worker,
``<prefix>_maintenance`` is ``maintenance.*``, and ``<prefix>_readonly`` is for people who look.
"""
