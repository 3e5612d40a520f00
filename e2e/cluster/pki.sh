#!/usr/bin/env bash
# Certificates and kubeconfigs of one cluster, valid for thirty days. usage: pki.sh NODE…
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/lib.sh"
mkdir -p "$STATE/pki"
cd "$STATE/pki"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

authority() {
  key "$1"
  openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 30 -out "$1.crt" \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
}

# leaf NAME AUTHORITY SUBJECT USAGE [ALT-NAMES]
leaf() {
  key "$1"
  {
    echo "basicConstraints=CA:FALSE"
    echo "keyUsage=critical,digitalSignature"
    echo "extendedKeyUsage=$4"
    [ -z "${5:-}" ] || echo "subjectAltName=$5"
  } >"$1.ext"
  openssl req -new -key "$1.key" -subj "$3" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA "$2.crt" -CAkey "$2.key" -CAcreateserial -days 30 -extfile "$1.ext" -out "$1.crt" 2>/dev/null
  rm "$1.csr" "$1.ext"
}

service=kubernetes.default.svc
names="DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:$service,DNS:$service.cluster.local"
authority ca
authority front-proxy-ca
leaf apiserver ca /CN=kube-apiserver serverAuth "$names,IP:127.0.0.1,IP:10.96.0.1,IP:$CONTROL_PLANE_IP"
leaf apiserver-kubelet-client ca /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
leaf front-proxy-client front-proxy-ca /CN=front-proxy-client clientAuth
leaf admin ca /O=system:masters/CN=admin clientAuth
leaf controller-manager ca /CN=system:kube-controller-manager clientAuth
leaf scheduler ca /CN=system:kube-scheduler clientAuth
leaf proxy ca /CN=system:kube-proxy clientAuth
openssl genrsa -out service-accounts.key 2048 2>/dev/null
openssl rsa -in service-accounts.key -pubout -out service-accounts.pub 2>/dev/null
for name in admin controller-manager scheduler proxy; do kubeconfig $name $name https://$CONTROL_PLANE_IP; done

last=10
for node in "$@"; do
  last=$((last + 1))
  leaf "node-$node" ca "/O=system:nodes/CN=system:node:$node" clientAuth
  leaf "kubelet-$node" ca "/O=system:nodes/CN=system:node:$node" serverAuth "DNS:$node,IP:${CONTROL_PLANE_IP%.*}.$last"
  kubeconfig "node-$node" "node-$node" https://$CONTROL_PLANE_IP
done
