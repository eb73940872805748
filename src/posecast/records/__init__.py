"""What is kept on disk: configurations, files written safely, run folders, looks at test clips."""
