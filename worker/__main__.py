"""``python -m worker`` is ``template-service``."""

from worker.cli import main

main()
