#!/bin/sh
# Writes the configuration from the environment and becomes Asterisk.
set -e
sandbox config --bind "${ASTERISK_BIND:-0.0.0.0}" /etc/asterisk
exec asterisk -f
