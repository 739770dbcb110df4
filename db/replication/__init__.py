"""Streaming replication: create, monitor and promote standbys.

https://www.postgresql.org/docs/current/warm-standby.html
"""
