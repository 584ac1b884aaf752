"""The extensions that come with the library."""
