"""The doors for programs: status by API token or signed link, and CI's webhook."""
