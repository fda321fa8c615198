import sys

from haven_project.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
