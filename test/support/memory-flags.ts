// The flags of Node that every way to start the gateway has (package.json, Dockerfile, systemd, the package's command).
// They keep the heap near what is in use; docs/operations.md, "Sizing", has what they cost and save.
export const MEMORY_FLAGS = ['--max-semi-space-size=16', '--heap-growing-percent=60'];
