package wire

import (
	"crypto/x509"
	"fmt"
	"os"
)

// maxRoots bounds a file of certificates, in bytes.
const maxRoots = 1 << 20

// ReadRoots reads the certificates (PEM) that a server's is checked with; nil, which stands for the machine's, where no file is named.
func ReadRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxRoots {
		return nil, fmt.Errorf("%s is longer than %d bytes", file, maxRoots)
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", file)
	}
	return pool, nil
}
