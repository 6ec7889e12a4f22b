#!/bin/sh
# Writes the configuration from the environment and becomes Asterisk.
#
#   ARI_PASSWORD               needed; ARI_USER, default callplane
#   ASTERISK_BIND              address to listen on, default 0.0.0.0
#   ASTERISK_COUNTRY           whose tones, us or cn; default us
#   ASTERISK_EXTERNAL_ADDRESS  the address at which phones and trunks reach this host
set -e
sandbox config --bind "${ASTERISK_BIND:-0.0.0.0}" /etc/asterisk
# Seen from a container everybody is outside, phones in private networks too: all shall be told the external address.
if [ -n "${ASTERISK_EXTERNAL_ADDRESS:-}" ]; then
	sed -i '/^local_net = /d' /etc/asterisk/pjsip.conf
fi
exec asterisk -f
