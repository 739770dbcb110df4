#!/bin/sh
# Run by PostgreSQL's image when it creates the database: base backups and standbys may connect with
# a password. `all` of the image's own line does not include replication.
set -eu
echo 'host replication all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
