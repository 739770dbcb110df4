"""The preview: a page on this machine that shows the templates of a folder as they are edited."""
