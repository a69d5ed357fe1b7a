package ldaptest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	ours "tapline/broker/ldap"
)

// Slapd is OpenLDAP's server.
type Slapd struct {
	*Server
	// StartTLS is its URL without TLS from the first byte.
	StartTLS string
}

// Accounts of slapd beside the administrator's.
const (
	SlapdReader = "cn=reader,dc=plant,dc=lab"
	// SlapdLimited reads no more than 100 entries at once.
	SlapdLimited = "cn=limited,dc=plant,dc=lab"
	Password     = "Leser-kennwort-1"
)

const slapdConf = `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
pidfile DIR/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload syncprov
moduleload ppolicy
TLSCACertificateFile DIR/ca.pem
TLSCertificateFile DIR/server.pem
TLSCertificateKeyFile DIR/server.key
database mdb
maxsize 268435456
suffix "dc=plant,dc=lab"
rootdn "cn=admin,dc=plant,dc=lab"
rootpw PASSWORD
directory DIR/db
dbnosync
index objectClass,entryUUID,entryCSN,uid,employeeNumber eq
limits dn.exact="cn=reader,dc=plant,dc=lab" size=unlimited
limits dn.exact="cn=limited,dc=plant,dc=lab" size.soft=100 size.hard=100 size.prtotal=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by * read
overlay syncprov
SYNCPROV
overlay ppolicy
ppolicy_default "cn=policy,dc=plant,dc=lab"
`

// SlapdOptions vary a server.
type SlapdOptions struct {
	// NoSessionLog makes it forget what was deleted: a delta then names what is still there.
	NoSessionLog bool
}

// StartSlapd starts a server with the people's and groups' units, ou=people and ou=groups, and an account that reads.
func StartSlapd(t testing.TB, o SlapdOptions) *Slapd {
	t.Helper()
	path := program(t, "slapd", "slapd")
	dir := t.TempDir()
	const host = "127.0.0.1"
	certificates(t, dir, host)
	must(t, os.Mkdir(filepath.Join(dir, "db"), 0o700))
	log := "syncprov-sessionlog 1000"
	if o.NoSessionLog {
		log = ""
	}
	conf := File(t, dir, "slapd.conf", strings.NewReplacer("DIR", dir, "PASSWORD", Password, "SYNCPROV", log).Replace(slapdConf))
	open, secure := fmt.Sprintf("%s:%d", host, freePort(t)), fmt.Sprintf("%s:%d", host, freePort(t))
	s := &Slapd{StartTLS: "ldap://" + open, Server: &Server{
		t: t, dir: dir, url: "ldaps://" + secure, admin: "cn=admin,dc=plant,dc=lab", password: Password, Base: "dc=plant,dc=lab",
		argv: []string{path, "-d", "0", "-h", "ldap://" + open + " ldaps://" + secure, "-f", conf},
		Config: ours.Config{
			Servers: []string{"ldaps://" + secure}, CAFile: filepath.Join(dir, "ca.pem"), BindDN: SlapdReader,
			PasswordFile: File(t, dir, "password", Password+"\n"),
		},
	}}
	t.Cleanup(s.Stop)
	s.Start()
	s.Add(s.Base, Attrs{"objectClass": {"dcObject", "organization"}, "o": {"Plant"}, "dc": {"plant"}})
	for _, unit := range []string{"people", "groups", "left"} {
		s.Add("ou="+unit+","+s.Base, Attrs{"objectClass": {"organizationalUnit"}, "ou": {unit}})
	}
	s.Add("cn=policy,"+s.Base, Attrs{"objectClass": {"device", "pwdPolicy"}, "cn": {"policy"}, "pwdAttribute": {"userPassword"}})
	for _, dn := range []string{SlapdReader, SlapdLimited} {
		s.Add(dn, Attrs{"objectClass": {"person"}, "sn": {"account"}, "userPassword": {Password}})
	}
	return s
}

// program finds an installed program, or skips the test.
func program(t testing.TB, name, pack string) string {
	t.Helper()
	for _, dir := range append([]string{"/usr/sbin"}, filepath.SplitList(os.Getenv("PATH"))...) {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	t.Skip("needs: " + pack)
	return ""
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
