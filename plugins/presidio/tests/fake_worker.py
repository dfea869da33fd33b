"""A worker without Presidio, as a process: it does what the texts say.

Its arguments: a file to which each start adds a line, and why it cannot work, if so.
"""

import os
import signal
import sys
from pathlib import Path

from gateway_presidio.frames import Answer
from gateway_presidio.worker import main


class FakeEngine:
    def __init__(self, config):
        starts, *problem = sys.argv[1:]
        with Path(starts).open("a") as file:
            file.write("start\n")
        if problem:
            raise ValueError(problem[0])

    def check(self, texts):
        for text in texts:
            word, _, rest = text.partition(" ")
            match word:
                case "hang":
                    signal.pause()
                case "die":
                    os._exit(3)
                case "wait":
                    Path(rest).read_text()  # of a FIFO: until somebody writes
                case "fail":
                    raise RuntimeError(text)
                case "print":
                    os.write(1, b"noise")
                    os.write(2, b"noise")
                case "lose":
                    return Answer({"LOST": 1}, [])
                case "environ":
                    return Answer(dict.fromkeys(os.environ, 1), list(texts))
        return Answer({"PID": os.getpid()}, [text.upper() for text in texts])


if __name__ == "__main__":
    main(FakeEngine)
