"""Streaming replication: a standby is made, watched and promoted.

https://www.postgresql.org/docs/current/warm-standby.html
"""
