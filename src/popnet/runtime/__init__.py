"""What a run stands on: devices, memory, random keys, clocks, progress and files. Knows nothing of nets."""
