"""The preview: a local web page that shows a folder's templates while they are edited."""
