package law

import (
	"fmt"
	"strings"
)

// home says where an outside library may be imported, tests included.
type home struct {
	library string
	folders []string
}

// anywhere stands for every folder of the tree.
var anywhere = []string{"agent", "broker", "installer", "proto", "reader", "scripts"}

// homes lists every outside library that the module imports. One that is not here may be imported nowhere: whoever adds
// a library gives it a home first.
var homes = []home{
	// One folder each: these are the libraries that we may want to replace.
	{"github.com/ebfe/scard", []string{"reader/pcsc"}},
	{"go.bug.st/serial", []string{"reader/serial"}},
	{"github.com/zalando/go-keyring", []string{"agent/keystore", "broker/vault"}},
	{"github.com/kardianos/service", []string{"installer/osservice"}},
	{"modernc.org/sqlite", []string{"broker/store"}},
	{"github.com/jackc/pgx", []string{"broker/store"}},
	{"github.com/pressly/goose", []string{"broker/store"}},
	{"github.com/cedar-policy/cedar-go", []string{"broker/policy"}},
	{"github.com/secure-systems-lab/go-securesystemslib", []string{"proto/record"}},
	{"golang.org/x/mod", []string{"broker/tlog", "proto/checkpoint"}},
	{"github.com/go-ldap/ldap", []string{"broker/ldap"}},
	{"github.com/elimity-com/scim", []string{"broker/scim"}},
	{"github.com/scim2/filter-parser", []string{"broker/scim"}},
	{"github.com/openbao/openbao/api", []string{"broker/openbao"}},
	{"github.com/coreos/go-oidc", []string{"broker/login"}},
	{"github.com/go-jose/go-jose", []string{"agent/token"}},
	{"golang.org/x/oauth2", []string{"broker/login", "broker/cmd/tapctl"}},
	{"go.opentelemetry.io", []string{"broker/trace"}},
	{"golang.org/x/time", []string{"broker/quota"}},
	{"golang.org/x/crypto", []string{"proto/pin"}},
	{"github.com/jezek/xgb", []string{"agent/gate", "scripts/rig"}},
	{"golang.org/x/crypto", []string{"broker/pin"}},
	{"github.com/jezek/xgb", []string{"agent/gate"}},
	{"golang.org/x/image", []string{"agent/gate"}},
	{"github.com/godbus/dbus", []string{"agent/station", "agent/gate", "agent/logons"}},
	{"github.com/schollz/progressbar", []string{"broker/cmd"}},

	// Languages that several parts speak.
	{"google.golang.org/grpc", []string{"proto", "agent", "broker", "scripts"}},
	{"google.golang.org/protobuf", []string{"proto", "agent", "broker", "scripts"}},
	{"google.golang.org/genproto", []string{"proto"}},
	{"go.uber.org/zap", []string{"agent", "broker", "reader", "scripts"}},
	{"github.com/prometheus/client_golang", []string{"agent", "broker"}},
	{"github.com/spf13/cobra", []string{"agent", "broker", "installer", "reader/vcard", "scripts"}},
	{"github.com/spf13/pflag", []string{"agent", "broker", "scripts"}},
	{"github.com/goccy/go-yaml", []string{"agent", "broker", "installer", "scripts"}},
	{"github.com/cenkalti/backoff", []string{"agent", "broker", "reader"}},
	{"github.com/google/uuid", []string{"agent", "broker", "scripts"}},
	{"golang.org/x/sync", anywhere},
	{"golang.org/x/text", []string{"agent/panel"}},
	{"golang.org/x/sys", []string{"agent", "broker", "installer", "proto/ledger", "reader", "scripts"}},
	{"golang.org/x/term", []string{"agent", "broker", "scripts"}},
	{"github.com/mattn/go-isatty", []string{"agent", "broker", "scripts"}},

	// For tests.
	{"github.com/google/go-cmp", anywhere},
	{"github.com/rogpeppe/go-internal", anywhere},
	{"github.com/creack/pty", []string{"reader", "agent", "broker", "scripts"}},
	{"pgregory.net/rapid", anywhere},
}

// onlyInTests are libraries that must not reach a product binary.
var onlyInTests = []string{
	"github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "github.com/creack/pty", "pgregory.net/rapid",
}

func libraryHomes(tree *Tree) []Breach {
	return eachImport(tree, func(file *File, imported string) string {
		if standard(imported) || within(file.Folder(), toolsModule) {
			return ""
		}
		for _, entry := range homes {
			if !within(imported, entry.library) {
				continue
			}
			if !within(file.Folder(), entry.folders...) {
				return fmt.Sprintf("%s may be imported only in %s", entry.library, strings.Join(entry.folders, ", "))
			}
			if within(imported, onlyInTests...) && !forTests(file) {
				return entry.library + " is for tests only"
			}
			return ""
		}
		return fmt.Sprintf("outside library %s has no home: give it one in the table of scripts/law/homes.go", imported)
	})
}

// forTests says whether a file only ever runs in tests or in the project's own scripts: a test file, a package of test help
// (one that imports "testing"), or anything under scripts.
func forTests(file *File) bool {
	if file.Test() || file.Part() == "scripts" {
		return true
	}
	for _, spec := range file.Go.Imports {
		if spec.Path.Value == `"testing"` {
			return true
		}
	}
	return false
}
