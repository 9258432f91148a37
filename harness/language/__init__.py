"""What reports are written in: languages and inline markup."""
