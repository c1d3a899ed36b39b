"""The command line. One file per verb, named in `app.VERBS`; a verb's module defines `app`."""
