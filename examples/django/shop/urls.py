"""Paths of the shop."""

from django.urls import path

from shop import views

urlpatterns = [
    path("orders", views.order),
    path("chat", views.chat),
    path("balance", views.balance),
]
