"""What takes hours or touches the network: download, build, export."""
