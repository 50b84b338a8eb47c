// The contract is no file to be bundled: the host provides it.
export default { external: /^callhook:/ };
