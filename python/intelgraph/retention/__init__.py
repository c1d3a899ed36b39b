"""What goes after its time: the retention classes of contracts, applied to the change log and to quarantine."""
