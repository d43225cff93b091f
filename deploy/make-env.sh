#!/bin/sh
# Prints an .env for compose.yaml with new secrets: deploy/make-env.sh >.env
# Keep the file: with another FLAKESTORM_SECRET_KEY stored secrets cannot be read any more.
set -eu
umask 077

secret() { od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n'; }

cat <<END
FLAKESTORM_SECRET_KEY=$(secret)
FLAKESTORM_METRICS_TOKEN=$(secret)
POSTGRES_PASSWORD=$(secret)
REDIS_PASSWORD=$(secret)
FLAKESTORM_HOSTS=localhost,127.0.0.1
END
