"""What a user can cause, told from what is wrong in our own code."""


class PosecastError(ValueError):
    """Something that a user can mend: a file, a folder, a setting, an array.

    The message says what was wrong, what was got and expected, and how to mend it. The command
    line prints it without a traceback; any other error is a bug and shows where it happened.
    """
