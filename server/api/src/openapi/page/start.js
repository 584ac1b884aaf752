// Starts Swagger UI. Once somebody has put a token in, the document is loaded again with it, since
// it lists what the one who asks may use.
"use strict";

let token = null;

const ui = window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#page",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  requestInterceptor: (request) => {
    if (token !== null && request.loadSpec) {
      request.headers.authorization = `Bearer ${token}`;
    }
    return request;
  },
});

ui.getStore().subscribe(() => {
  const now = ui.getState().getIn(["auth", "authorized", "bearer", "value"]) ?? null;
  if (now !== token) {
    token = now;
    ui.specActions.download("openapi.json");
  }
});
