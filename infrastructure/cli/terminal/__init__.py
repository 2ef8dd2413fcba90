"""What all commands share: output, errors, options, opening an installation."""
