"""Speed and size, as ratios to limits measured in the same run on the same machine."""
