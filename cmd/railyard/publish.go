package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"railyard/server/api"
)

func newPublish() *cobra.Command {
	var (
		service         link
		deployment, app string
		limit           time.Duration
		out             format
	)
	cmd := &cobra.Command{
		Use:   "publish --deployment ID FILE",
		Short: "Publish the package that a deployment has built",
		Long: `Sends a package (a .tar.gz file) to the package store and makes it the package of the deployment. It prints the package's
digest, the SHA-256 of the file. The same bytes again change nothing, so the command may be repeated; other bytes for the
same deployment are refused. While the service is away it is tried again.`,
		Example:     `  railyard publish --deployment hotel-api-7.2-hotel-api-a1 --app hotel-api package.tar.gz`,
		Args:        cobra.ExactArgs(1),
		Annotations: codes(ordinary),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, tell := cmd.Context(), patience{limit, toErr(cmd)}
			client, err := service.open(0)
			if err != nil {
				return err
			}
			if app != "" {
				if err := builds(ctx, client, tell, deployment, app); err != nil {
					return err
				}
			}
			pkg, err := patiently(ctx, tell, func() (api.Package, error) { return upload(ctx, client, deployment, args[0]) })
			if err != nil {
				return about(args[0]+" for deployment", deployment, err)
			}
			if out == jsonText {
				return out.print(cmd.OutOrStdout(), pkg, nil)
			}
			cmd.Println(clean(pkg.Digest))
			return nil
		},
	}
	service.bind(cmd)
	out.bind(cmd)
	cmd.Flags().StringVar(&deployment, "deployment", "", "the deployment, as Railyard named it in the build's parameter")
	cmd.Flags().StringVar(&app, "app", "", "application that was built; refuse to publish when the deployment is of another")
	bindPatience(cmd, &limit)
	_ = cmd.MarkFlagRequired("deployment")
	return cmd
}

// builds checks that the deployment is of the app: a copied job definition must not publish one app as another.
func builds(ctx context.Context, client *api.ClientWithResponses, p patience, deployment, app string) error {
	d, err := patiently(ctx, p, func() (api.Deployment, error) {
		ctx, cancel := context.WithTimeout(ctx, quick)
		defer cancel()
		return decoded[api.Deployment](client.GetDeploymentWithResponse(ctx, deployment))
	})
	if err != nil {
		return about("deployment", deployment, err)
	}
	if d.App != app {
		return fmt.Errorf("deployment %s is of %s, not of %s; nothing was published: correct --app or --deployment", deployment, d.App, app)
	}
	return nil
}

// stalled is how long an upload may stand still, and the store may take to keep the last byte.
const stalled = 2 * time.Minute

// upload sends the file once. The digest the service answers must be that of what was sent.
func upload(ctx context.Context, client *api.ClientWithResponses, deployment, path string) (api.Package, error) {
	file, size, err := openPackage(path)
	if err != nil {
		return api.Package{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(stalled, func() { cancel(fmt.Errorf("%w: the upload has stood still for %s", errAway, stalled)) })
	defer timer.Stop()
	body := &watched{ReadCloser: file, sum: sha256.New(), moved: func() { timer.Reset(stalled) }}
	pkg, err := decoded[api.Package](client.PublishPackageWithBodyWithResponse(ctx, deployment, "application/gzip", body,
		func(_ context.Context, req *http.Request) error {
			req.ContentLength = size
			return nil
		}))
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, errAway) {
			err = cause
		}
		return api.Package{}, err
	}
	if sent := "sha256:" + hex.EncodeToString(body.sum.Sum(nil)); pkg.Digest != sent {
		return api.Package{}, fmt.Errorf("%s was sent but the service has kept %s; publish it again", sent, pkg.Digest)
	}
	return pkg, nil
}

// openPackage opens a file that can be a package.
func openPackage(path string) (*os.File, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	var magic [2]byte
	if err == nil {
		if _, rerr := file.ReadAt(magic[:], 0); rerr != nil || magic != [2]byte{0x1f, 0x8b} {
			err = fmt.Errorf("%s is not compressed by gzip; pack it with: tar -czf %s …", path, path)
		}
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// watched is a body that sums what is read from it and says that it was read.
type watched struct {
	io.ReadCloser
	sum   hash.Hash
	moved func()
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	w.sum.Write(p[:n])
	w.moved()
	return n, err
}
