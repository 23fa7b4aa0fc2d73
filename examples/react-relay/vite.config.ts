import { defineConfig } from "vite";
import relay from "vite-plugin-relay";

export default defineConfig({
  plugins: [relay],
  server: {
    // The gateway allows the origin of this port.
    strictPort: true,
    // docs/clients is outside of this folder.
    fs: { allow: ["../.."] },
  },
});
