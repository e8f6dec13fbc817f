"""Who changed what of a wallet."""
