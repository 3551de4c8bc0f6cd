// The API's description. No "try it" without an address: the page's own server is it, and the session signs GETs.
const place = document.getElementById("swagger");
SwaggerUIBundle({
  url: place.dataset.url,
  domNode: place,
  deepLinking: false,
  defaultModelsExpandDepth: 0,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  validatorUrl: null,
});
