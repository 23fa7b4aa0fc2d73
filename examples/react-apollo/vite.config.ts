import { defineConfig } from "vite";

export default defineConfig({
  server: {
    // The gateway allows the origin of this port.
    strictPort: true,
    // docs/clients is outside of this folder.
    fs: { allow: ["../.."] },
  },
});
