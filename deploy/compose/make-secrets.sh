#!/bin/sh
# Writes the secrets of docker-compose.yml into a folder, each into a file of its own. What is there already stays.
#
#   sh deploy/compose/make-secrets.sh [FOLDER]     default: secrets
#
# The folder is its owner's only. The files can be read by all who come into it: the processes in the containers, which
# see the files and not the folder, are other users.
set -eu
folder=${1:-secrets}
umask 077
mkdir -p "$folder"
chmod 700 "$folder"

# write NAME TEXT: never over one that is there; whole or not at all.
write() {
  [ -e "$folder/$1" ] && return
  printf '%s\n' "$2" > "$folder/$1.new"
  chmod 644 "$folder/$1.new"
  mv "$folder/$1.new" "$folder/$1"
  echo "wrote $folder/$1"
}

# Hexadecimal, since it becomes a part of an address.
write redis-password "$(openssl rand -hex 24)"
write redis-url "redis://:$(cat "$folder/redis-password")@redis:6379"
# 32 bytes as base64url. Another key later: docs/operations.md, Keys.
write session-keys "k1:$(openssl rand -base64 32 | tr '+/' '-_' | tr -d '=')"
