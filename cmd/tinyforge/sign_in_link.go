package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"

	"tinyforge/app/settings"
	"tinyforge/db"
)

// signInLink is the command sign-in-link: it prints a link for the first administrator while there is nobody, else for
// somebody who is named.
func signInLink(ctx context.Context, c config, args []string, in invocation) error {
	if len(args) > 1 {
		return errors.New("sign-in-link takes the name of one user at most: tinyforge sign-in-link [NAME]")
	}
	store, err := existingStore(ctx, c)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	users, err := store.Users(ctx)
	if err != nil {
		return err
	}
	user, err := linkedUser(users, args)
	if err != nil {
		return err
	}
	choices := settings.NewChoices(store, c.chosen())
	if err := printLink(ctx, store, choices, c.Listen, user, in.out); err != nil {
		return err
	}
	return printAssumed(ctx, c, choices, in.out)
}

// printAssumed says what the links stand on that nobody has told: a server may have been given other options.
func printAssumed(ctx context.Context, c config, choices *settings.Choices, out io.Writer) error {
	public, err := choices.PublicURL(ctx)
	if err != nil {
		return err
	}
	if !c.Given.Listen {
		fmt.Fprintf(out, "%s is assumed: if your tinyforge serve has another --listen, give it to this command too\n", c.Listen)
	}
	if public == "" {
		fmt.Fprintln(out, "No public URL is known here: if your tinyforge serve has a --public-url, give it to this command too")
	}
	return nil
}

// linkedUser is whose password the link sets; zero is the first administrator's.
func linkedUser(users []db.User, args []string) (db.User, error) {
	if len(users) == 0 {
		return db.User{}, nil
	}
	var names []string
	for _, u := range users {
		if len(args) == 1 && u.Name == args[0] || len(args) == 0 && len(users) == 1 {
			return u, nil
		}
		names = append(names, u.Name)
	}
	if len(args) == 0 {
		return db.User{}, fmt.Errorf("say for whom: tinyforge sign-in-link NAME, with one of %s", strings.Join(names, ", "))
	}
	return db.User{}, fmt.Errorf("there is no user %q: use one of %s", args[0], strings.Join(names, ", "))
}

// printFirstLink prints a link while there is nobody who could sign in.
func printFirstLink(ctx context.Context, store *db.DB, choices *settings.Choices, listen string, out io.Writer) error {
	if has, err := store.HasUsers(ctx); err != nil || has {
		return err
	}
	return printLink(ctx, store, choices, listen, db.User{}, out)
}

func printLink(ctx context.Context, store *db.DB, choices *settings.Choices, listen string, user db.User, out io.Writer) error {
	token, err := store.NewSignInLink(ctx, user.ID)
	if err != nil {
		return err
	}
	public, err := choices.PublicURL(ctx)
	if err != nil {
		return err
	}
	what := "Open this link to make the first administrator"
	if user.ID != 0 {
		what = "Open this link to set a new password for " + user.Name
	}
	fmt.Fprintf(out, "%s. It works once, within %d minutes:\n", what, int(db.SignInLinkLife.Minutes()))
	local := "http://" + reachable(listen)
	if public != "" && public != local {
		fmt.Fprintf(out, "  %s%s%s\n", public, settings.SetupPath, token)
	}
	fmt.Fprintf(out, "  %s%s%s\n", local, settings.SetupPath, token)
	return nil
}

// linkCommand is the command that prints a link to sign in with to this server.
func linkCommand(c config) string {
	command := "tinyforge sign-in-link"
	if c.Data != defaultData() {
		command += " --data " + c.Data
	}
	if c.Listen != defaultListen {
		command += " --listen " + c.Listen
	}
	return command
}

// reachable is a listener's address with a host that a browser can use: where it listens on all, one of this machine.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip, err := netip.ParseAddr(host); host != "" && (err != nil || !ip.IsUnspecified()) {
		return listen
	}
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Is4() && !prefix.Addr().IsLoopback() {
			return net.JoinHostPort(prefix.Addr().String(), port)
		}
	}
	return net.JoinHostPort("127.0.0.1", port)
}
