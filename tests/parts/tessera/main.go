// Checks a log's directory with Tessera's fsck, a reader that knows nothing of us:
//
//	fsck DIRECTORY VERIFIER-KEY
//
// Exit status 1 when it finds a fault, which Tessera's own command only logs. The origin is the name of the key.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"
	"golang.org/x/mod/sumdb/note"
)

func main() {
	if len(os.Args) != 3 {
		fail(2, fmt.Errorf("usage: fsck DIRECTORY VERIFIER-KEY"))
	}
	verifier, err := note.NewVerifier(os.Args[2])
	if err != nil {
		fail(2, err)
	}
	log := &client.FileFetcher{Root: os.Args[1]}
	// A worker of Tessera's ends at the first fault that it finds, and once all have ended the check waits for ever:
	// more of them than an altered file has tiles above it.
	check := fsck.New(verifier.Name(), verifier, log, leafHashes, fsck.Opts{N: 16})
	if err := check.Check(context.Background()); err != nil {
		fail(1, err)
	}
}

// leafHashes are those of the entries of a bundle.
func leafHashes(bundle []byte) ([][]byte, error) {
	entries := api.EntryBundle{}
	if err := entries.UnmarshalText(bundle); err != nil {
		return nil, err
	}
	hashes := make([][]byte, 0, len(entries.Entries))
	for _, entry := range entries.Entries {
		hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(entry))
	}
	return hashes, nil
}

func fail(status int, err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(status)
}
