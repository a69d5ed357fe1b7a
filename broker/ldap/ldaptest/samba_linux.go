package ldaptest

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unicode/utf16"

	ours "tapline/broker/ldap"
)

// Samba is a domain controller of a domain PLANT.LAB.
type Samba struct{ *Server }

const sambaPassword = "Passw0rd!lab-7"

// StartSamba provisions a domain and starts its LDAP server alone, on a loopback address of its own because Samba's port is fixed. The account that
// reads is a plain user.
func StartSamba(t testing.TB) *Samba {
	t.Helper()
	tool, path := program(t, "samba-tool", "samba-ad-provision"), program(t, "samba", "samba-ad-dc")
	if os.Getuid() != 0 {
		t.Skip("needs: root")
	}
	dir := t.TempDir()
	last := make([]byte, 2)
	_, _ = rand.Read(last)
	host := fmt.Sprintf("127.89.%d.%d", last[0], max(1, min(last[1], 254)))
	certificates(t, dir, host)
	for _, sub := range []string{"run", "logs"} {
		must(t, os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	argv := []string{
		"domain", "provision", "--realm=PLANT.LAB", "--domain=PLANT", "--server-role=dc", "--dns-backend=NONE", "--adminpass=" + sambaPassword,
		"--host-name=dc", "--host-ip=" + host, "--targetdir=" + filepath.Join(dir, "dc"), "--configfile=" + File(t, dir, "none.conf", "[global]\n"),
	}
	for name, value := range map[string]string{
		"interfaces": host + "/8", "bind interfaces only": "yes", "server services": "ldap", "log file": filepath.Join(dir, "logs", "log"),
		"pid directory": filepath.Join(dir, "run"), "ncalrpc dir": filepath.Join(dir, "run", "ncalrpc"), "tls enabled": "yes",
		"tls keyfile": filepath.Join(dir, "server.key"), "tls certfile": filepath.Join(dir, "server.pem"), "tls cafile": filepath.Join(dir, "ca.pem"),
	} {
		argv = append(argv, "--option="+name+"="+value)
	}
	if out, err := exec.Command(tool, argv...).CombinedOutput(); err != nil {
		t.Fatalf("provision: %v\n%s", err, out)
	}
	s := &Samba{&Server{
		t: t, dir: dir, url: "ldaps://" + host, admin: "Administrator@plant.lab", password: sambaPassword, Base: "DC=plant,DC=lab",
		argv:   []string{path, "-F", "--no-process-group", "-M", "single", "-s", filepath.Join(dir, "dc", "etc", "smb.conf"), "-d", "0"},
		Config: ours.Config{Servers: []string{"ldaps://" + host}, CAFile: filepath.Join(dir, "ca.pem")},
	}}
	t.Cleanup(s.Stop)
	s.Start()
	for _, unit := range []string{"people", "groups", "left"} {
		s.Add("OU="+unit+","+s.Base, Attrs{"objectClass": {"organizationalUnit"}})
	}
	s.AddUser("CN=reader,CN=Users,"+s.Base, "reader", Password, nil)
	s.Config.BindDN, s.Config.PasswordFile = "CN=reader,CN=Users,"+s.Base, File(t, dir, "password", Password+"\n")
	return s
}

// AdminConfig speaks to the server as the administrator.
func (s *Samba) AdminConfig() ours.Config {
	c := s.Config
	c.BindDN, c.PasswordFile = s.admin, File(s.t, s.dir, "admin-password", sambaPassword+"\n")
	return c
}

// AddUser adds an account that is enabled.
func (s *Samba) AddUser(dn, name, password string, more Attrs) {
	s.t.Helper()
	attrs := Attrs{"objectClass": {"user"}, "sAMAccountName": {name}, "userAccountControl": {"512"}, "unicodePwd": {quoted(password)}}
	for k, v := range more {
		attrs[k] = v
	}
	s.Add(dn, attrs)
}

func quoted(password string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}
