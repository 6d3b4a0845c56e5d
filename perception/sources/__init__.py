"""Where frames come from: files, live streams, and the process that reads them."""
