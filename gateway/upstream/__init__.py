"""The only package that talks to providers: connections, sign-in, deadlines, what fails how."""
