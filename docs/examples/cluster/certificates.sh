#!/bin/bash
# certificates.sh FOLDER: an authority of your own, and a certificate that it signs for scheduler, workers and clients.
# Whoever can read FOLDER/key.pem can run code on the cluster. Needs OpenSSL 3.
set -euo pipefail
umask 077
mkdir -p "$1"
cd "$1"
new=(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365)
"${new[@]}" -subj /CN=our-cluster -keyout authority-key.pem -out authority.pem
"${new[@]}" -subj /CN=member -CA authority.pem -CAkey authority-key.pem -keyout key.pem -out certificate.pem
{
  echo "export DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=True"
  echo "export DASK_DISTRIBUTED__COMM__TLS__CA_FILE=$PWD/authority.pem"
  for role in SCHEDULER WORKER CLIENT; do
    echo "export DASK_DISTRIBUTED__COMM__TLS__${role}__CERT=$PWD/certificate.pem"
    echo "export DASK_DISTRIBUTED__COMM__TLS__${role}__KEY=$PWD/key.pem"
  done
} > environment.sh
