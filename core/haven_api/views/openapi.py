"""/openapi.json, and the same to read."""

from itertools import groupby
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views import View
from rest_framework.request import Request
from rest_framework.response import Response

from haven_api.openapi import openapi_document
from haven_api.views.system import OpenView


class OpenApi(OpenView):
    """GET /openapi.json: Haven's OpenAPI document."""

    schema = None

    def get(self, _request: Request) -> Response:
        return Response(openapi_document())


class Reference(View):
    """GET /reference: the OpenAPI document as a page, which loads nothing from elsewhere."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest) -> HttpResponse:
        operations = [
            {"method": method.upper(), "path": path, **operation}
            for path, methods in openapi_document()["paths"].items()
            for method, operation in methods.items()
        ]
        operations.sort(key=_collection)  # stable: paths keep their order
        collections = [{"name": name, "operations": list(group)} for name, group in groupby(operations, _collection)]
        return render(request, "haven_api/reference.html", {"collections": collections})


def _collection(operation: dict[str, Any]) -> str:
    return str(operation["tags"][0])
