package fleet

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"

	taplinev1 "tapline/proto/tapline/v1"
	"tapline/proto/wire"
)

// Admin is a connection with the administrator's identity.
type Admin struct {
	taplinev1.AdminServiceClient
	Audit taplinev1.AuditServiceClient
	conn  *grpc.ClientConn
}

// DialAdmin connects to a broker with the identity folder that a broker left.
func DialAdmin(identity, broker string) (*Admin, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(identity, "admin.crt"), filepath.Join(identity, "admin.key"))
	if err != nil {
		return nil, fmt.Errorf("administrator's identity: %w", err)
	}
	pem, err := os.ReadFile(filepath.Join(identity, "roots.pem"))
	if err != nil {
		return nil, fmt.Errorf("administrator's identity: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("administrator's identity: roots.pem holds no certificate")
	}
	conn, err := wire.Dial(broker, wire.ClientTLS(
		func() (tls.Certificate, bool) { return cert, true }, func() *x509.CertPool { return roots }, time.Now),
		grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		return nil, err
	}
	return &Admin{taplinev1.NewAdminServiceClient(conn), taplinev1.NewAuditServiceClient(conn), conn}, nil
}

// Close ends the connection.
func (a *Admin) Close() error { return a.conn.Close() }
