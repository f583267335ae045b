"""Where Metaflow users look for what concerns how artifacts are stored: `rayflow.datastore.artifacts`."""
