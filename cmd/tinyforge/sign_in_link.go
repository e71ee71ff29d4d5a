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
	id, err := linkedUser(users, args)
	if err != nil {
		return err
	}
	return printLink(ctx, store, settings.NewChoices(store, c.chosen()), c.Listen, id, in.out)
}

// linkedUser is whose password the link sets; 0 is the first administrator's.
func linkedUser(users []db.User, args []string) (int64, error) {
	if len(users) == 0 {
		return 0, nil
	}
	var names []string
	for _, u := range users {
		if len(args) == 1 && u.Name == args[0] || len(args) == 0 && len(users) == 1 {
			return u.ID, nil
		}
		names = append(names, u.Name)
	}
	if len(args) == 0 {
		return 0, fmt.Errorf("say for whom: tinyforge sign-in-link NAME, with one of %s", strings.Join(names, ", "))
	}
	return 0, fmt.Errorf("there is no user %q: use one of %s", args[0], strings.Join(names, ", "))
}

// printFirstLink prints a link while there is nobody who could sign in.
func printFirstLink(ctx context.Context, store *db.DB, choices *settings.Choices, listen string, out io.Writer) error {
	if has, err := store.HasUsers(ctx); err != nil || has {
		return err
	}
	return printLink(ctx, store, choices, listen, 0, out)
}

func printLink(ctx context.Context, store *db.DB, choices *settings.Choices, listen string, userID int64, out io.Writer) error {
	token, err := store.NewSignInLink(ctx, userID)
	if err != nil {
		return err
	}
	public, err := choices.PublicURL(ctx)
	if err != nil {
		return err
	}
	what := "Open this link to make the first administrator"
	if userID != 0 {
		what = "Open this link to set a new password"
	}
	fmt.Fprintf(out, "%s. It works once, within %d minutes:\n", what, int(db.SignInLinkLife.Minutes()))
	local := "http://" + reachable(listen)
	if public != "" && public != local {
		fmt.Fprintf(out, "  %s%s%s\n", public, settings.SetupPath, token)
	}
	fmt.Fprintf(out, "  %s%s%s\n", local, settings.SetupPath, token)
	return nil
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
