package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"railyard/internal/demo/child"
)

//go:embed roll.yml
var playbook string

// ansible runs the same steps as a playbook. Its time includes the start of ansible-playbook, as every use of it does.
type ansible struct {
	*yard
	runs int
}

func newAnsible(y *yard) (*ansible, error) {
	var inventory strings.Builder
	inventory.WriteString("[pool]\n")
	for i, name := range y.names {
		fmt.Fprintf(&inventory, "%s address=%s\n", name, y.address[i])
	}
	fmt.Fprintf(&inventory, `[pool:vars]
root=%s
release=%s
version=%s
ansible_host=127.0.0.1
ansible_port=%d
ansible_user=%s
ansible_ssh_private_key_file=%s
ansible_python_interpreter=/usr/bin/python3
ansible_ssh_common_args='-o UserKnownHostsFile=%s -o ControlMaster=auto -o ControlPersist=60s -o ControlPath=%s'
`, y.root, newRelease.Name(), newRelease.Version, y.sshd.port, y.sshd.user, y.sshd.key, y.sshd.knownHosts, y.path("cm"))
	files := []error{
		write(y.path("inventory"), inventory.String()),
		write(y.path("roll.yml"), playbook),
		write(y.path("ansible.cfg"), ""), // its defaults, whatever the user's own file says
	}
	return &ansible{yard: y}, errors.Join(files...)
}

func (*ansible) name() string { return "ansible" }

// ready opens the shared ssh connection, so that it is warm.
func (a *ansible) ready(ctx context.Context) error {
	return a.run(ctx, "ansible", "pool", "-m", "ansible.builtin.raw", "-a", "true")
}

func (a *ansible) roll(ctx context.Context) (time.Duration, error) {
	begin := time.Now()
	err := a.run(ctx, "ansible-playbook", a.path("roll.yml"))
	return time.Since(begin), err
}

func (a *ansible) run(ctx context.Context, program string, args ...string) error {
	a.runs++
	file := a.path(fmt.Sprintf("ansible-%d.log", a.runs))
	log, err := os.Create(file)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, program, append(args, "-i", a.path("inventory"), "-f", fmt.Sprint(servers))...)
	cmd.Env = append(os.Environ(), "ANSIBLE_HOME="+a.path("ansible"), "ANSIBLE_LOCAL_TEMP="+a.path("ansible"),
		"ANSIBLE_REMOTE_TMP="+a.path("ansible"), "ANSIBLE_CONFIG="+a.path("ansible.cfg"), "ANSIBLE_NOCOLOR=1")
	cmd.Stdout, cmd.Stderr = log, log
	if err := child.Run(cmd); err != nil {
		said, _ := os.ReadFile(file)
		return fmt.Errorf("%s: %w: %s", program, err, said)
	}
	return nil
}

// close ends the shared connection; it ends by itself a minute after its last use, too.
func (a *ansible) close() error {
	if _, err := os.Stat(a.path("cm")); err != nil {
		return nil //nolint:nilerr // it was never opened, or has ended
	}
	return exec.Command("ssh", "-o", "ControlPath="+a.path("cm"), "-O", "exit", "-p", fmt.Sprint(a.sshd.port), "127.0.0.1").Run()
}
