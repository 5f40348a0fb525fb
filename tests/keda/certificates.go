package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// One authority and one key pair for every role in the lab: it is served on loopback, for as long as a recording takes.
type certificates struct{ authority, certificate, key string }

// Names by which the API server, KEDA's adapter, webhooks and metrics service are called.
var names = []string{
	"localhost", "keda-operator.keda.svc", "keda-metrics-apiserver.keda.svc", "keda-admission-webhooks.keda.svc", "keda-operator",
}

// The file names are those that KEDA looks for in its --cert-dir.
func makeCertificates(folder string) (certificates, error) {
	made := certificates{
		authority:   filepath.Join(folder, "ca.crt"),
		certificate: filepath.Join(folder, "tls.crt"),
		key:         filepath.Join(folder, "tls.key"),
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return made, err
	}
	authorityKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return made, err
	}
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "keda-lab"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(48 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return made, err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return made, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		// What may do anything, for the controllers and for KEDA.
		Subject:     pkix.Name{CommonName: "lab", Organization: []string{"system:masters"}},
		NotBefore:   authority.NotBefore,
		NotAfter:    authority.NotAfter,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), authorityKey)
	if err != nil {
		return made, err
	}
	for file, block := range map[string]*pem.Block{
		made.authority:   {Type: "CERTIFICATE", Bytes: authorityDER},
		made.certificate: {Type: "CERTIFICATE", Bytes: leafDER},
		made.key:         {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			return made, err
		}
	}
	return made, nil
}
