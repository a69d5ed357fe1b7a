//go:build linux

package windows

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// need skips a test for want of a program, and names the Debian package that brings it.
func need(t *testing.T, program, debian string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skip("needs: " + debian)
	}
}

func needMSITools(t *testing.T) {
	t.Helper()
	need(t, "wixl", "wixl")
	need(t, "msiinfo", "msitools")
	need(t, "faketime", "faketime")
}

// buildMSI packs exe as a release.
func buildMSI(t *testing.T, version, exe string) string {
	t.Helper()
	msi := filepath.Join(t.TempDir(), "tapline-agent-"+version+".msi")
	if out, err := exec.Command("./build", version, exe, msi).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return msi
}

// fakeExe is a file in the place of the agent: enough for what is in an MSI, not to be run.
func fakeExe(t *testing.T) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "tapagent.exe")
	if err := os.WriteFile(exe, []byte("MZ program"), 0o600); err != nil {
		t.Fatal(err)
	}
	return exe
}

// table is what msiinfo exports, without the three lines of its head: one row a line, fields parted by "|".
func table(t *testing.T, msi, name string) []string {
	t.Helper()
	out, err := exec.Command("msiinfo", "export", msi, name).Output()
	if err != nil {
		t.Fatalf("export %s: %v", name, err)
	}
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(out), "\r", ""), "\n"), "\n")
	if len(lines) < 3 {
		return nil
	}
	rows := lines[3:]
	for i := range rows {
		rows[i] = strings.ReplaceAll(rows[i], "\t", "|")
	}
	return rows
}

// TestMSITables asserts every row that wixl gets wrong without a word, or that a statement of "build" sets: msibuild ends
// well even if a statement matched nothing.
func TestMSITables(t *testing.T) {
	needMSITools(t)
	msi := buildMSI(t, "v1.2.0-rc.1", fakeExe(t))
	tests := []struct {
		table string
		has   []string
	}{
		{"Property", []string{
			"ProductVersion|1.2.0",
			"UpgradeCode|{EA38ECB3-AC54-40FB-AFC7-56221E3CE7D3}",
			"SecureCustomProperties|WIX_DOWNGRADE_DETECTED;WIX_UPGRADE_DETECTED;BROKER;TOKEN",
			"MsiHiddenProperties|TOKEN;Configure",
			"MSIRESTARTMANAGERCONTROL|Disable",
			"ALLUSERS|1",
		}},
		{"CustomAction", []string{`Configure|11282|AgentExeFile|configure --broker "[BROKER]" --token "[TOKEN]"|`}},
		{"ServiceInstall", []string{
			"AgentService|TaplineAgent|Tapline Agent|16|2|32769|||LocalSystem||service run|AgentExe|" +
				"Names the person at this station and keeps the record of every session.",
		}},
		{"ServiceControl", []string{"AgentControl|TaplineAgent|163||1|AgentExe"}},
		{"Upgrade", []string{
			"{EA38ECB3-AC54-40FB-AFC7-56221E3CE7D3}||1.2.0||1||WIX_UPGRADE_DETECTED",
			"{EA38ECB3-AC54-40FB-AFC7-56221E3CE7D3}|1.2.0|||2||WIX_DOWNGRADE_DETECTED",
		}},
		{"File", []string{"AgentExeFile|AgentExe|tapagent.exe|10|1.2.0.0|1033|512|1"}},
		{"AppSearch", []string{"BROKER|LastBroker"}},
		{"RegLocator", []string{`LastBroker|2|SOFTWARE\Tapline\Agent|Broker|18`}},
		{"InstallExecuteSequence", []string{
			"AppSearch||50", "LaunchConditions||100", "InstallInitialize||1500", "RemoveExistingProducts||1501",
			"StopServices|VersionNT|1900", "WriteRegistryValues||5000", "InstallServices|VersionNT|5800",
			"Configure|NOT REMOVE|5850", "StartServices|VersionNT|5900", "InstallFinalize||6600",
		}},
	}
	for _, test := range tests {
		rows := table(t, msi, test.table)
		for _, want := range test.has {
			if !slices.Contains(rows, want) {
				t.Errorf("%s lacks %q; it has\n%s", test.table, want, strings.Join(rows, "\n"))
			}
		}
	}
	if left := table(t, msi, "MsiFileHash"); len(left) != 0 {
		t.Errorf("a versioned file has a hash: %q", left)
	}
	wantComponents(t, msi)
	wantSettings(t, msi)
	wantSummary(t, msi)
}

// wantComponents: by these GUIDs Windows tells what to replace; they must never change.
func wantComponents(t *testing.T, msi string) {
	t.Helper()
	var got []string
	for _, row := range table(t, msi, "Component") {
		f := strings.Split(row, "|")
		got = append(got, strings.Join(f[:4], "|"))
	}
	want := []string{
		"AgentExe|{EDFA63B1-A14A-4B76-B4FE-0F92445989E8}|INSTALLDIR|256",
		"AgentSettings|{22EDDF57-6968-4D3C-9C21-448A1F883FB0}|INSTALLDIR|260",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Component (-want +got):\n%s", diff)
	}
}

// wantSettings: the registry holds the address and never the token.
func wantSettings(t *testing.T, msi string) {
	t.Helper()
	var got []string
	for _, row := range table(t, msi, "Registry") {
		f := strings.Split(row, "|")
		got = append(got, strings.Join(f[1:], "|"))
	}
	want := []string{
		`2|SOFTWARE\Tapline\Agent|Broker|[BROKER]|AgentSettings`,
		`2|SOFTWARE\Tapline\Agent|Version|1.2.0|AgentSettings`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Registry (-want +got):\n%s", diff)
	}
}

func wantSummary(t *testing.T, msi string) {
	t.Helper()
	out, err := exec.Command("msiinfo", "suminfo", msi).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Subject: Tapline Agent 1.2.0\n", "Author: Tapline\n", "Template: x64;1033\n", "Version: 500 (1f4)\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("summary lacks %q:\n%s", want, out)
		}
	}
}

func TestSameInputsGiveTheSameMSI(t *testing.T) {
	needMSITools(t)
	first, errFirst := os.ReadFile(buildMSI(t, "1.2.0", fakeExe(t)))
	second, errSecond := os.ReadFile(buildMSI(t, "1.2.0", fakeExe(t))) // written anew: another time, another folder
	if errFirst != nil || errSecond != nil || !bytes.Equal(first, second) {
		t.Errorf("two builds differ (%v, %v)", errFirst, errSecond)
	}
}

func TestEveryReleaseIsAnotherProduct(t *testing.T) {
	needMSITools(t)
	a, b := productCode(t, buildMSI(t, "1.2.0", fakeExe(t))), productCode(t, buildMSI(t, "1.2.1", fakeExe(t)))
	if a == b {
		t.Errorf("1.2.0 and 1.2.1 are both %s: Windows would refuse the upgrade", a)
	}
}

func productCode(t *testing.T, msi string) string {
	t.Helper()
	for _, row := range table(t, msi, "Property") {
		if value, ok := strings.CutPrefix(row, "ProductCode|"); ok {
			return value
		}
	}
	t.Fatal("no ProductCode")
	return ""
}

func TestBuildRefusesAVersionThatWindowsCannotCompare(t *testing.T) {
	for _, version := range []string{"", "1.2", "1.2.3.4", "one", "1.2.x"} {
		out, err := exec.Command("./build", version, fakeExe(t), filepath.Join(t.TempDir(), "o.msi")).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "three numbers") {
			t.Errorf("version %q: %v\n%s", version, err, out)
		}
	}
}
