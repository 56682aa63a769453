"""Tables: reading files with columns, and what the columns become. `import fastmlp` does not import this package."""
