"""Sources of frames: video files, live streams, and the process that reads them."""
